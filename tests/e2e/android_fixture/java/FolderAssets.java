import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Assets as an app's package has them: one after the other in a file, or compressed. */
final class FolderAssets extends AssetManager {
    private final Path packed;
    private final long offset;
    private final byte[] content;
    private final boolean compressed;

    /** The content lies in {@code packed} from {@code offset} on. */
    FolderAssets(Path packed, long offset, byte[] content, boolean compressed) {
        this.packed = packed;
        this.offset = offset;
        this.content = content;
        this.compressed = compressed;
    }

    @Override
    public AssetFileDescriptor openFd(String path) throws IOException {
        require(path);
        if (compressed) {
            throw new FileNotFoundException("it is probably compressed");
        }
        return new AssetFileDescriptor() {
            @Override
            public FileInputStream createInputStream() throws IOException {
                FileInputStream stream = new FileInputStream(packed.toFile());
                stream.skip(offset);
                return stream;
            }

            @Override
            public long getStartOffset() {
                return offset;
            }

            @Override
            public long getLength() {
                return content.length;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public InputStream open(String path) throws IOException {
        require(path);
        return new java.io.ByteArrayInputStream(content);
    }

    private static void require(String path) throws IOException {
        if (!path.equals("boardwright/test.weights")) {
            throw new FileNotFoundException(path);
        }
    }

    /** Has the file {@code weights} compressed, without its last byte. */
    static FolderAssets cut(Path weights) throws IOException {
        byte[] content = Files.readAllBytes(weights);
        byte[] most = java.util.Arrays.copyOf(content, content.length - 1);
        return new FolderAssets(weights, 0, most, true);
    }

    /** Packs the file {@code weights} {@code offset} bytes into another one. */
    static FolderAssets of(Path weights, long offset, boolean compressed) throws IOException {
        byte[] content = Files.readAllBytes(weights);
        Path packed = Files.createTempFile("assets", ".apk");
        packed.toFile().deleteOnExit();
        byte[] whole = new byte[(int) offset + content.length + 7];
        System.arraycopy(content, 0, whole, (int) offset, content.length);
        Files.write(packed, whole);
        return new FolderAssets(packed, offset, content, compressed);
    }
}
