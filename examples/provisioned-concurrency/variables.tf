variable "alarm_topic_arn" {
  description = "ARN of the SNS topic to notify on alarm and recovery."
  type        = string
  nullable    = false
}
