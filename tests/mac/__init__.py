"""macOS's behaviour in the place of Linux's.

hide_proc         a plugin of pytest: no /proc, which macOS lacks (`python -m pytest -p tests.mac.hide_proc`)
ray_as_on_macos   a folder for PYTHONPATH: Ray without the kernel's fate sharing
"""
