package android.content.res;

import java.io.Closeable;
import java.io.FileInputStream;
import java.io.IOException;

/** What of Android's class is called; compiled against, never shipped. */
public abstract class AssetFileDescriptor implements Closeable {
    public abstract FileInputStream createInputStream() throws IOException;

    public abstract long getStartOffset();

    public abstract long getLength();
}
