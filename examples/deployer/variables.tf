variable "repository" {
  description = "GitHub repository whose workflows deploy: OWNER/NAME, or OWNER@ID/NAME@ID with immutable subjects."
  type        = string
  default     = "example/people-api"
  nullable    = false
}
