"""For users' tests as well as ours: fixtures on a real broker, from the pytest plugin `penstock.testing.pytest_plugin`.

pytest loads the plugin through its entry point wherever penstock is installed; nothing in here imports pytest but the
plugin itself.
"""
