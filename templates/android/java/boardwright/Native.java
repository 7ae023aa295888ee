package boardwright;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jetbrains.annotations.NotNull;
import org.jetbrains.annotations.Nullable;

/** The functions of {@code model.h}. A handle is the model's address; a status is a bw_status. */
final class Native {
    static {
        System.loadLibrary("model_jni");
    }

    private Native() {}

    static native int create(
            @Nullable byte[] weightsPath,
            @Nullable ByteBuffer weights,
            long weightsBytes,
            int threads,
            @NotNull long[] handle);

    static native void destroy(long handle);

    static native byte[] lastError(long handle);

    static native byte[] modelName();

    static native byte[] weightsAsset();

    static native long weightsBytes();

    static native int threads(long handle);

    static native int count(long handle, boolean ofOutputs);

    static native byte[] name(long handle, boolean ofOutputs, int index);

    static native long[] describe(long handle, boolean ofOutputs, int index);

    static native int run(long handle, @NotNull ByteBuffer[] inputs, @NotNull ByteBuffer[] outputs);

    static native int misalignment(@NotNull ByteBuffer buffer);

    static String text(byte[] utf8) {
        return new String(utf8, StandardCharsets.UTF_8);
    }
}
