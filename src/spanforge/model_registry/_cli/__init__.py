"""The command line, which needs the extra ``cli``. Nothing outside this folder imports it, except ``__main__``."""
