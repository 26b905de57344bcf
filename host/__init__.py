"""The only code that knows ComfyUI exists, its plain-PyTorch stand-in, the headless runner, the CLI."""
