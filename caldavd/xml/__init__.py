"""XML in and out: names, a safe parser for what comes in, escaped fragments for what goes out."""
