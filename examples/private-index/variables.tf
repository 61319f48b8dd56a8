variable "base_image" {
  description = "Image to build on: AWS's, or a copy of it in a registry of yours."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
}

variable "pip_config_file" {
  description = <<-EOT
    pip's configuration on the machine that applies, with the index and its password:
    `[global]` and `index-url = https://user:password@index.example.com/simple/`. A build reads it; a plan does not.
  EOT
  type        = string
  default     = "~/.config/pip/pip.conf"
}

variable "revision" {
  description = "Commit that the image is built from, as a label of the image; null for none. A new one alone builds nothing."
  type        = string
  default     = null
}
