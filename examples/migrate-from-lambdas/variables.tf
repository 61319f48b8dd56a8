variable "legacy_routes" {
  description = "Routes that old functions still serve: route key (METHOD /path) → function ARN."
  type        = map(string)
  default     = {}
  nullable    = false
}
