variable "canary_percent" {
  description = "Percentage of requests (0 to 99) for the newest version while another is pinned."
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
  description = "Replaces the hash of the source's bytes, and also covers modes and symlinks: $(git rev-parse HEAD:examples/minimal/app), run at the repository's root."
  type        = string
  default     = null
}
