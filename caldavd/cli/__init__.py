"""The command line: one module per group of commands, put together in ``caldavd.__main__``.

Commands read the settings, open the store through its Protocols (``storage.store``) and print sentences. No SQL and no
HTTP here.
"""
