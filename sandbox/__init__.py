"""A local AWS: emulator, Docker engine, base image and Terraform providers; online or offline."""
