package boardwright;

import android.content.res.AssetManager;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jetbrains.annotations.NotNull;
import org.jetbrains.annotations.Nullable;

/**
 * One instance of the model.
 *
 * <p>Threads may share it: their runs wait for each other, and {@link #close} waits for the last of
 * them. For runs side by side make several; they share the weights where those are mapped.
 */
public final class Model implements AutoCloseable {
    /** As many threads as there are cores to run on. */
    public static final int ALL_CORES = 0;

    private final ReadWriteLock closing = new ReentrantReadWriteLock();
    private final Object running = new Object(); // the library keeps one message, of its last run
    private final ByteBuffer weights; // kept while the library may read it
    private final List<TensorSpec> inputs;
    private final List<TensorSpec> outputs;
    private long handle; // 0 once closed

    private Model(long handle, @Nullable ByteBuffer weights) {
        this.handle = handle;
        this.weights = weights;
        this.inputs = specs(handle, false);
        this.outputs = specs(handle, true);
    }

    /**
     * Starts the model with the weights of the app's assets, mapped where they are not compressed.
     *
     * @throws IOException if the assets have no weights
     * @throws ModelException if the model cannot start
     */
    @NotNull
    public static Model load(@NotNull AssetManager assets, int threads) throws IOException {
        return open(Weights.find(assets), threads);
    }

    /** Starts the model with the weights of the app's assets on all cores. */
    @NotNull
    public static Model load(@NotNull AssetManager assets) throws IOException {
        return load(assets, ALL_CORES);
    }

    /**
     * Starts the model with weights in memory.
     *
     * @param weights direct; all its bytes, which must not change until {@link #close}
     * @throws IllegalArgumentException if the buffer is not direct
     * @throws ModelException if the model cannot start
     */
    @NotNull
    public static Model open(@NotNull ByteBuffer weights, int threads) {
        if (!weights.isDirect()) {
            throw new IllegalArgumentException("the buffer of the weights is not direct");
        }
        return start(null, weights, threads);
    }

    /**
     * Starts the model with the weights in a file.
     *
     * @throws IllegalArgumentException if the path holds a NUL
     * @throws ModelException if the model cannot start
     */
    @NotNull
    public static Model open(@NotNull String weightsPath, int threads) {
        if (weightsPath.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("the path of the weights holds a NUL");
        }
        return start(weightsPath.getBytes(StandardCharsets.UTF_8), null, threads);
    }

    /** The model's name, as it was built. */
    @NotNull
    public static String name() {
        return Native.text(Native.modelName());
    }

    /** The inputs, in the model's order. */
    @NotNull
    public List<TensorSpec> inputs() {
        return inputs;
    }

    /** The outputs, in the model's order. */
    @NotNull
    public List<TensorSpec> outputs() {
        return outputs;
    }

    /** The number of threads a run uses. */
    public int threads() {
        closing.readLock().lock();
        try {
            return Native.threads(open());
        } finally {
            closing.readLock().unlock();
        }
    }

    /**
     * Runs once, into tensors of the caller's.
     *
     * @param inputs one an input, in the model's order; not written to
     * @param outputs one an output, in the model's order; none shares memory with another tensor
     * @throws IllegalArgumentException for another number of tensors, another type or shape
     * @throws IllegalStateException after {@link #close}
     * @throws ModelException if a kernel fails; with the status {@link ModelException#BAD_VALUE} if
     *     the inputs hold, or lead to, an index, a length or a divisor that the model cannot have
     */
    public void run(@NotNull List<Tensor> inputs, @NotNull List<Tensor> outputs) {
        ByteBuffer[] in = buffers("input", this.inputs, inputs);
        ByteBuffer[] out = buffers("output", this.outputs, outputs);
        for (ByteBuffer buffer : out) {
            if (buffer.isReadOnly()) {
                throw new IllegalArgumentException("an output's buffer is read-only");
            }
        }
        closing.readLock().lock();
        try {
            synchronized (running) {
                check(Native.run(open(), in, out), handle);
            }
        } finally {
            closing.readLock().unlock();
        }
    }

    /** Runs once and returns the outputs in tensors of their own. */
    @NotNull
    public List<Tensor> run(@NotNull List<Tensor> inputs) {
        List<Tensor> made = new ArrayList<>();
        for (TensorSpec spec : outputs) {
            made.add(spec.allocate());
        }
        run(inputs, made);
        return made;
    }

    /** Frees the model once no thread runs it; a second time does nothing. */
    @Override
    public void close() {
        closing.writeLock().lock();
        try {
            if (handle != 0) {
                Native.destroy(handle);
                handle = 0;
            }
        } finally {
            closing.writeLock().unlock();
        }
    }

    private static Model start(byte[] path, ByteBuffer weights, int threads) {
        long[] handle = new long[1];
        long bytes = weights == null ? 0 : weights.capacity();
        int status = Native.create(path, weights, bytes, threads, handle);
        try {
            check(status, handle[0]);
            return new Model(handle[0], weights);
        } catch (RuntimeException failure) {
            Native.destroy(handle[0]);
            throw failure;
        }
    }

    private static void check(int status, long handle) {
        if (status != 0) {
            throw new ModelException(status, Native.text(Native.lastError(handle)));
        }
    }

    private static List<TensorSpec> specs(long handle, boolean ofOutputs) {
        int count = Native.count(handle, ofOutputs);
        List<TensorSpec> specs = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            String name = Native.text(Native.name(handle, ofOutputs, i));
            specs.add(new TensorSpec(name, Native.describe(handle, ofOutputs, i)));
        }
        return Collections.unmodifiableList(specs);
    }

    private static ByteBuffer[] buffers(String kind, List<TensorSpec> specs, List<Tensor> given) {
        if (given.size() != specs.size()) {
            throw new IllegalArgumentException(
                    "the model has " + specs.size() + " " + kind + "s, not " + given.size());
        }
        ByteBuffer[] buffers = new ByteBuffer[given.size()];
        for (int i = 0; i < buffers.length; i++) {
            if (!specs.get(i).matches(given.get(i).spec())) {
                throw new IllegalArgumentException(
                        kind + " " + i + " is " + specs.get(i) + ", not " + given.get(i).spec());
            }
            buffers[i] = given.get(i).content();
        }
        return buffers;
    }

    private long open() {
        if (handle == 0) {
            throw new IllegalStateException("the model is closed");
        }
        return handle;
    }
}
