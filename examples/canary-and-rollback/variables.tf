variable "canary_percent" {
  description = "Share of the requests, 0 to 99 percent, that the newest version gets beside the pinned one."
  type        = number
  default     = 0
  nullable    = false
}

variable "release_version" {
  description = "Version that serves; null for the newest."
  type        = number
  default     = null
}

variable "source_hash" {
  description = "Stands for the source in place of a hash over its bytes, and for its modes and links as well: $(git rev-parse HEAD:examples/minimal/app), run where the repository begins."
  type        = string
  default     = null
}
