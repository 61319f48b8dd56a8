variable "base_image" {
  description = "Image to build on: AWS's, or a copy of it in a registry of yours."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
}
