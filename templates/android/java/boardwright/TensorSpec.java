package boardwright;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jetbrains.annotations.NotNull;

/** An input or output of a model: its name, element type and shape. */
public final class TensorSpec {
    private static final int ALIGNMENT = 64;

    private final String name;
    private final DataType type;
    private final long[] shape;
    private final int sizeBytes;

    TensorSpec(@NotNull String name, @NotNull long[] description) {
        this.name = name;
        this.type = DataType.values()[(int) description[0]];
        if (description[1] > Integer.MAX_VALUE - ALIGNMENT) {
            throw new IllegalArgumentException("tensor " + name + " is too large for a buffer");
        }
        this.sizeBytes = (int) description[1];
        this.shape = Arrays.copyOfRange(description, 2, description.length);
    }

    /** The name as in the ONNX model. */
    @NotNull
    public String name() {
        return name;
    }

    @NotNull
    public DataType type() {
        return type;
    }

    /** The extents, row-major; a copy. */
    @NotNull
    public long[] shape() {
        return shape.clone();
    }

    /** Bytes of the whole tensor. */
    public int sizeBytes() {
        return sizeBytes;
    }

    /** Makes a tensor of zeros that the model uses where it lies, without a copy. */
    @NotNull
    public Tensor allocate() {
        ByteBuffer room = ByteBuffer.allocateDirect(sizeBytes + ALIGNMENT);
        int past = Native.misalignment(room);
        room.position(past == 0 ? 0 : ALIGNMENT - past);
        room.limit(room.position() + sizeBytes);
        return new Tensor(this, room.slice());
    }

    /**
     * Takes the bytes between the buffer's position and its limit for a tensor.
     *
     * @param buffer direct, in native order, of exactly {@link #sizeBytes} remaining bytes; shared
     *     with the tensor
     * @throws IllegalArgumentException for any other buffer
     */
    @NotNull
    public Tensor wrap(@NotNull ByteBuffer buffer) {
        if (!buffer.isDirect()) {
            throw new IllegalArgumentException("the buffer for " + name + " is not direct");
        }
        if (buffer.remaining() != sizeBytes) {
            throw new IllegalArgumentException(
                    "the buffer for " + name + " has " + buffer.remaining()
                            + " bytes where the tensor has " + sizeBytes);
        }
        if (buffer.order() != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException(
                    "the buffer for " + name + " is not in native byte order");
        }
        return new Tensor(this, buffer.slice());
    }

    boolean matches(@NotNull TensorSpec other) {
        return type == other.type && Arrays.equals(shape, other.shape);
    }

    @Override
    @NotNull
    public String toString() {
        return name + ": " + type + Arrays.toString(shape);
    }
}
