variable "legacy_routes" {
  description = "Routes that an old function still serves: route key (METHOD /path) → ARN of the function."
  type        = map(string)
  default     = {}
  nullable    = false
}
