package boardwright;

import org.jetbrains.annotations.NotNull;

/** A failure of the model library; the message is the library's own. */
public final class ModelException extends RuntimeException {
    /** The status of a run whose inputs hold what the model cannot have; the message names it. */
    public static final int BAD_VALUE = 7; // BW_ERROR_VALUE

    private static final long serialVersionUID = 1;

    private final int status;

    ModelException(int status, @NotNull String message) {
        super(message);
        this.status = status;
    }

    /** The {@code bw_status} of {@code model.h}. */
    public int status() {
        return status;
    }
}
