variable "availability_zones" {
  description = "Two availability zones of the region, by name."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.availability_zones) == 2
    error_message = "availability_zones must name two zones: the function keeps running when one of them fails."
  }
}

variable "cidr_block" {
  description = "Address range of the VPC, /16 to /24."
  type        = string
  default     = "10.20.0.0/20"
  nullable    = false
}
