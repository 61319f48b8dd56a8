variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that is told of alarms and recoveries."
  type        = string
  nullable    = false
}
