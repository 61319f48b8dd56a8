variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "canary_percent" {
  description = "Percentage of requests (0 to 99) for the newest version while another is pinned."
  type        = number
  default     = 0
  nullable    = false
}

variable "environment" {
  description = "The environment: dev, which builds the image, stage or prod."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "stage", "prod"], var.environment)
    error_message = "environment must be dev, stage or prod."
  }
}

variable "image_uri" {
  description = "Image to promote, by digest: the output `image_uri` of the environment where it was tested. Ignored in dev, which builds."
  type        = string
  default     = null

  validation {
    condition     = var.environment == "dev" || var.image_uri != null
    error_message = "image_uri is required outside dev, which alone builds: pass the output image_uri of the environment where the image was tested."
  }
}

variable "memory_mb" {
  description = "Memory of the function in MB."
  type        = number
  default     = 512
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the function's role; the role that applies may be allowed to create roles with this boundary only."
  type        = string
  default     = null
}

variable "preview_permissions_boundary_arn" {
  description = "As `permissions_boundary_arn`, for previews, which another role applies."
  type        = string
  default     = null
}

variable "preview" {
  description = "Number of the pull request that this is a preview of; null for the environment itself."
  type        = number
  default     = null

  validation {
    condition     = var.preview == null ? true : var.environment == "dev"
    error_message = "preview is for dev only: a preview builds the pull request's image."
  }
}

variable "pull_account_ids" {
  description = "Accounts of the other environments, which pull dev's images."
  type        = list(string)
  default     = []
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
