variable "image_uri" {
  description = "Image by digest, <registry>/<repository>@sha256:<64 hex>, in this region."
  type        = string
  nullable    = false
}
