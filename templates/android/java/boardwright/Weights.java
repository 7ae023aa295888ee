package boardwright;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.jetbrains.annotations.NotNull;

/** The weights among an app's assets. */
final class Weights {
    private Weights() {}

    /** Maps them, or reads them where the app's package has them compressed. */
    @NotNull
    static ByteBuffer find(@NotNull AssetManager assets) throws IOException {
        String path = Native.text(Native.weightsAsset());
        try (AssetFileDescriptor file = assets.openFd(path);
                FileInputStream stream = file.createInputStream()) {
            return stream.getChannel()
                    .map(FileChannel.MapMode.READ_ONLY, file.getStartOffset(), file.getLength());
        } catch (FileNotFoundException compressed) {
            return read(assets, path);
        }
    }

    private static ByteBuffer read(AssetManager assets, String path) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        byte[] piece = new byte[1 << 16];
        try (InputStream stream = assets.open(path)) {
            for (int length; (length = stream.read(piece)) != -1; ) {
                content.write(piece, 0, length);
            }
        }
        ByteBuffer direct = ByteBuffer.allocateDirect(content.size());
        direct.put(content.toByteArray());
        return direct;
    }
}
