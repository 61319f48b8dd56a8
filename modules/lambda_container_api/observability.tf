locals {
  # By partition; null where it is not public.
  console_host = lookup({
    aws        = "console.aws.amazon.com"
    aws-cn     = "console.amazonaws.cn"
    aws-eusc   = "console.amazonaws-eusc.eu"
    aws-us-gov = "console.amazonaws-us-gov.com"
  }, local.partition, null)

  function_log_group = "/aws/lambda/${var.name}"

  # Two of Lambda's level names differ from Python's.
  application_log_level = lookup({ WARNING = "WARN", CRITICAL = "FATAL" }, var.logs.level, var.logs.level)

  access_log_fields = {
    requestId          = "$context.requestId"
    requestTime        = "$context.requestTime"
    httpMethod         = "$context.httpMethod"
    path               = "$context.path"
    routeKey           = "$context.routeKey"
    status             = "$context.status"
    protocol           = "$context.protocol"
    responseLength     = "$context.responseLength"
    responseLatency    = "$context.responseLatency"
    integrationLatency = "$context.integrationLatency"
    integrationStatus  = "$context.integrationStatus"
    integrationError   = "$context.integrationErrorMessage"
    authorizerError    = "$context.authorizer.error"
    gatewayError       = "$context.error.message"
    sourceIp           = "$context.identity.sourceIp"
    userAgent          = "$context.identity.userAgent"
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:The caller decides, by logs.kms_key_arn; without it CloudWatch encrypts with its own key
  name              = local.function_log_group
  log_group_class   = var.logs.class
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.logs.kms_key_arn
  skip_destroy      = var.logs.keep_on_destroy
  tags              = var.tags
}

# Under /aws/vendedlogs/, APIs do not fill up the region's log delivery policy (5,120 characters).
resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:The caller decides, by logs.kms_key_arn; without it CloudWatch encrypts with its own key
  name              = "/aws/vendedlogs/apigateway/${var.name}"
  log_group_class   = var.logs.class
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.logs.kms_key_arn
  skip_destroy      = var.logs.keep_on_destroy
  tags              = var.tags
}
