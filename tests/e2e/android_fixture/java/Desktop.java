import boardwright.DataType;
import boardwright.Model;
import boardwright.ModelException;
import boardwright.Tensor;
import boardwright.TensorSpec;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Drives the Java API on a desktop: {@code Desktop SCENARIO WEIGHTS FOLDER}. Exits 0 when all holds. */
public final class Desktop {
    private static Path weights;
    private static Path folder;

    public static void main(String[] arguments) throws Exception {
        weights = Paths.get(arguments[1]);
        folder = Paths.get(arguments[2]);
        switch (arguments[0]) {
            case "describe":
                describe();
                break;
            case "run":
                run();
                break;
            case "concurrency":
                concurrency();
                break;
            case "closing":
                closing();
                break;
            case "misuse":
                misuse();
                break;
            case "failing":
                failing();
                break;
            case "weights":
                weights();
                break;
            default:
                throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static Model open() {
        return Model.open(weights.toString(), 2);
    }

    private static void describe() {
        try (Model model = open()) {
            System.out.println(Model.name() + " " + model.threads());
            model.inputs().forEach(spec -> System.out.println("in " + spec + " " + spec.sizeBytes()));
            model.outputs().forEach(spec -> System.out.println("out " + spec + " " + spec.sizeBytes()));
        }
    }

    private static List<Tensor> inputs(Model model) throws IOException {
        List<Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : model.inputs()) {
            Tensor tensor = spec.allocate();
            tensor.bytes().put(Files.readAllBytes(folder.resolve("in-" + tensors.size())));
            tensors.add(tensor);
        }
        return tensors;
    }

    private static byte[] content(List<Tensor> tensors) {
        int size = tensors.stream().mapToInt(tensor -> tensor.spec().sizeBytes()).sum();
        ByteBuffer all = ByteBuffer.allocate(size);
        tensors.forEach(tensor -> all.put(tensor.bytes()));
        return all.array();
    }

    private static void run() throws IOException {
        try (Model model = open()) {
            List<Tensor> outputs = model.run(inputs(model));
            for (int i = 0; i < outputs.size(); i++) {
                byte[] bytes = content(Collections.singletonList(outputs.get(i)));
                Files.write(folder.resolve("out-" + i), bytes);
            }
            // Buffers of the caller's that lie anywhere give the same.
            List<Tensor> odd = new ArrayList<>();
            for (TensorSpec spec : model.outputs()) {
                ByteBuffer room = ByteBuffer.allocateDirect(spec.sizeBytes() + 12);
                room.order(ByteOrder.nativeOrder()).position(4);
                room.limit(4 + spec.sizeBytes());
                odd.add(spec.wrap(room));
            }
            model.run(inputs(model), odd);
            expect(Arrays.equals(content(odd), content(outputs)), "misaligned buffers");
        }
    }

    private static void concurrency() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        try (Model shared = open();
                Model other = open()) {
            byte[] expected = content(shared.run(inputs(shared)));
            List<Callable<Boolean>> work = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                Model model = i % 3 == 0 ? other : shared;
                work.add(() -> Arrays.equals(content(model.run(inputs(model))), expected));
            }
            for (Future<Boolean> done : pool.invokeAll(work)) {
                expect(done.get(), "a run beside others");
            }
        } finally {
            pool.shutdown();
        }
    }

    /** Every failure tells of its own run: the stand-in's message is its input's first number. */
    private static void failing() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        try (Model model = open()) {
            List<Callable<String>> work = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                List<Tensor> numbered = inputs(model);
                numbered.get(0).floats().put(0, i);
                work.add(() -> refuses(ModelException.class, () -> model.run(numbered)));
            }
            List<Future<String>> done = pool.invokeAll(work);
            for (int i = 0; i < done.size(); i++) {
                expect(done.get(i).get().contains("run " + i + "."), done.get(i).get());
            }
            expect(statusOf(model) == ModelException.BAD_VALUE, "another status");
        } finally {
            pool.shutdown();
        }
    }

    private static int statusOf(Model model) throws IOException {
        try {
            model.run(inputs(model));
            return 0;
        } catch (ModelException failure) {
            return failure.status();
        }
    }

    /** Closing waits for the runs under way; those that come later are told. */
    private static void closing() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        for (int round = 0; round < 20; round++) {
            Model model = open();
            List<Callable<String>> work = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                boolean closes = i == 4;
                work.add(
                        () -> {
                            if (closes) {
                                model.close();
                                return "closed";
                            }
                            try {
                                model.run(inputs(model));
                                return "ran";
                            } catch (IllegalStateException closed) {
                                return "told";
                            }
                        });
            }
            for (Future<String> done : pool.invokeAll(work)) {
                done.get();
            }
            model.close();
            refuses(IllegalStateException.class, () -> model.run(inputs(model)));
            refuses(IllegalStateException.class, model::threads);
        }
        pool.shutdown();
    }

    private static void misuse() throws Exception {
        try (Model model = open()) {
            TensorSpec spec = model.inputs().get(0);
            int size = spec.sizeBytes();
            ByteOrder order = ByteOrder.nativeOrder();
            refuses(IllegalArgumentException.class, () -> spec.wrap(ByteBuffer.allocate(size)));
            refuses(
                    IllegalArgumentException.class,
                    () -> spec.wrap(ByteBuffer.allocateDirect(size - 4).order(order)));
            refuses(
                    IllegalArgumentException.class,
                    () -> spec.wrap(ByteBuffer.allocateDirect(size + 4).order(order)));
            refuses(
                    IllegalArgumentException.class,
                    () -> spec.wrap(ByteBuffer.allocateDirect(size).order(ByteOrder.BIG_ENDIAN)));
            refuses(IllegalArgumentException.class, () -> model.run(Collections.emptyList()));
            List<Tensor> outputs = new ArrayList<>();
            model.outputs().forEach(output -> outputs.add(output.allocate()));
            refuses(
                    IllegalArgumentException.class,
                    () -> model.run(inputs(model), Collections.emptyList()));
            List<Tensor> swapped = new ArrayList<>(outputs);
            swapped.set(0, spec.allocate());
            refuses(IllegalArgumentException.class, () -> model.run(inputs(model), swapped));
            List<Tensor> readOnly = new ArrayList<>(outputs);
            TensorSpec first = model.outputs().get(0);
            ByteBuffer sealed = ByteBuffer.allocateDirect(first.sizeBytes()).asReadOnlyBuffer();
            readOnly.set(0, first.wrap(sealed.order(order)));
            refuses(IllegalArgumentException.class, () -> model.run(inputs(model), readOnly));
            expect(spec.type() == DataType.FLOAT32, "the fixture's first input is of floats");
            Tensor tensor = spec.allocate();
            expect(tensor.floats().remaining() * 4 == size, "floats");
            refuses(IllegalStateException.class, tensor::longs);
            refuses(IllegalStateException.class, tensor::shorts);
            refuses(UnsupportedOperationException.class, () -> model.inputs().clear());
            tensor.bytes().position(8);
            expect(tensor.bytes().position() == 0, "each view has a position of its own");
            spec.shape()[0] = 99;
            expect(spec.shape()[0] != 99, "a shape is a copy");
            // After all that it still works.
            model.run(inputs(model), outputs);
        }
    }

    private static void weights() throws Exception {
        byte[] expected;
        try (Model model = open()) {
            expected = content(model.run(inputs(model)));
        }
        long[] offsets = {0, 64, 4096, 4, 4096 + 60};
        for (long offset : offsets) {
            for (boolean compressed : new boolean[] {false, true}) {
                try (Model model = Model.load(FolderAssets.of(weights, offset, compressed), 1)) {
                    System.gc(); // what is in use must not be freed under the model
                    expect(Arrays.equals(content(model.run(inputs(model))), expected), "assets");
                }
            }
        }
        FolderAssets cut = FolderAssets.cut(weights);
        String message = refuses(EOFException.class, () -> Model.load(cut, 1));
        expect(message.contains("boardwright/test.weights"), message);
        message = refuses(ModelException.class, () -> Model.open("/absent", 1));
        expect(message.contains("/absent"), message);
        ByteBuffer zeros = ByteBuffer.allocateDirect((int) Files.size(weights));
        message = refuses(ModelException.class, () -> Model.open(zeros, 1));
        expect(message.contains("checksum"), message);
        refuses(ModelException.class, () -> Model.open(ByteBuffer.allocateDirect(64), 1));
        refuses(IllegalArgumentException.class, () -> Model.open(ByteBuffer.allocate(64), 1));
        refuses(ModelException.class, () -> Model.open(weights.toString(), -1));
        refuses(IllegalArgumentException.class, () -> Model.open(weights + "\0tail", 1).close());
    }

    private interface Action {
        void act() throws Exception;
    }

    private static String refuses(Class<? extends Exception> type, Action action) {
        try {
            action.act();
        } catch (Exception failure) {
            expect(type.isInstance(failure), failure + " instead of " + type);
            return String.valueOf(failure.getMessage());
        }
        throw new AssertionError("nothing was thrown where " + type + " was due");
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
