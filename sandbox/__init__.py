"""AWS on a laptop: emulator, Docker engine, base image, providers; online or offline."""
