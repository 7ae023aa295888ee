package org.jetbrains.annotations;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** A name that Kotlin understands; compiled against, never shipped. */
@Retention(RetentionPolicy.CLASS)
public @interface Nullable {}
