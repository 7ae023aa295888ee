package boardwright;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import org.jetbrains.annotations.NotNull;

/**
 * The values of one input or output, in memory that Java and the model share.
 *
 * <p>Each accessor gives a new view with a position of its own. Unsigned integers are read as signed
 * ones of their size, 16-bit floats as shorts.
 */
public final class Tensor {
    private final TensorSpec spec;
    private final ByteBuffer content;

    Tensor(@NotNull TensorSpec spec, @NotNull ByteBuffer content) {
        this.spec = spec;
        this.content = content;
    }

    @NotNull
    public TensorSpec spec() {
        return spec;
    }

    /** The bytes of a tensor of any type. */
    @NotNull
    public ByteBuffer bytes() {
        return content.duplicate().order(ByteOrder.nativeOrder());
    }

    /** The elements of a FLOAT32 tensor. */
    @NotNull
    public FloatBuffer floats() {
        return as(DataType.FLOAT32, DataType.FLOAT32).asFloatBuffer();
    }

    /** The elements of a FLOAT64 tensor. */
    @NotNull
    public DoubleBuffer doubles() {
        return as(DataType.FLOAT64, DataType.FLOAT64).asDoubleBuffer();
    }

    /** The elements of an INT32 or UINT32 tensor. */
    @NotNull
    public IntBuffer ints() {
        return as(DataType.INT32, DataType.UINT32).asIntBuffer();
    }

    /** The elements of an INT64 or UINT64 tensor. */
    @NotNull
    public LongBuffer longs() {
        return as(DataType.INT64, DataType.UINT64).asLongBuffer();
    }

    /** The elements of a tensor of any 16-bit type, as bits. */
    @NotNull
    public ShortBuffer shorts() {
        if (spec.type().bytes() != 2) {
            throw notOf("a 16-bit type");
        }
        return bytes().asShortBuffer();
    }

    @NotNull
    ByteBuffer content() {
        return content;
    }

    private ByteBuffer as(DataType first, DataType second) {
        if (spec.type() != first && spec.type() != second) {
            throw notOf(first.toString());
        }
        return bytes();
    }

    private IllegalStateException notOf(String wanted) {
        return new IllegalStateException(
                "tensor " + spec.name() + " is of type " + spec.type() + ", not " + wanted);
    }
}
