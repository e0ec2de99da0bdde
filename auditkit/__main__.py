"""``python -m auditkit`` is the command ``auditkit``."""

from auditkit.cli.main import main

if __name__ == "__main__":
    main()
