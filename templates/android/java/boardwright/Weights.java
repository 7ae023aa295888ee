package boardwright;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
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
        ByteBuffer weights = ByteBuffer.allocateDirect(Math.toIntExact(Native.weightsBytes()));
        try (ReadableByteChannel content = Channels.newChannel(assets.open(path))) {
            while (weights.hasRemaining()) {
                if (content.read(weights) == -1) {
                    throw new EOFException(path + " ends after " + weights.position() + " bytes");
                }
            }
        }
        return weights;
    }
}
