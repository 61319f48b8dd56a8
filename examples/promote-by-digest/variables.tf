variable "image_uri" {
  description = "Image in this region, by digest: <registry>/<repository>@sha256:<64 hex>."
  type        = string
  nullable    = false
}
