data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

# The region is in the name because roles are global: one name may be deployed in several regions of an account.
resource "aws_iam_role" "execution" {
  name                 = "${var.name}-${local.region}"
  description          = "Execution role of the Lambda function ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  permissions_boundary = var.permissions.boundary_arn
  tags                 = var.tags
}

data "aws_iam_policy_document" "execution" {
  # No logs:CreateLogGroup: the group is made before its writer, with its retention and key.
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.logs_arn_prefix}:${local.function_log_group}:*"]
  }

  dynamic "statement" {
    for_each = local.secret_reads

    content {
      sid       = statement.key
      actions   = [statement.value.action]
      resources = statement.value.arns
    }
  }

  dynamic "statement" {
    for_each = var.function.asynchronous == null ? [] : var.function.asynchronous.on_failure == null ? [] : [var.function.asynchronous.on_failure.arn]

    content {
      sid       = "ReportFailures"
      actions   = [{ sqs = "sqs:SendMessage", sns = "sns:Publish", lambda = "lambda:InvokeFunction", events = "events:PutEvents", s3 = "s3:PutObject" }[split(":", statement.value)[2]]]
      resources = [split(":", statement.value)[2] == "s3" ? "${statement.value}/*" : statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.permissions.statements

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = statement.value.conditions

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

locals {
  secret_reads = {
    for sid, read in {
      ReadParameters = { action = "ssm:GetParameter", arns = [for arn in values(var.function.secrets) : arn if split(":", arn)[2] == "ssm"] }
      ReadSecrets    = { action = "secretsmanager:GetSecretValue", arns = [for arn in values(var.function.secrets) : arn if split(":", arn)[2] == "secretsmanager"] }
    } : sid => read if length(read.arns) > 0
  }
  managed_policies = toset(concat(
    var.function.tracing ? ["AWSXRayDaemonWriteAccess"] : [],
    var.function.vpc == null ? [] : ["service-role/AWSLambdaVPCAccessExecutionRole"],
  ))
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.name
  policy = data.aws_iam_policy_document.execution.json
}

# AWS's own policies where the actions cannot be narrowed to a resource.
resource "aws_iam_role_policy_attachment" "managed" {
  for_each = local.managed_policies

  role       = aws_iam_role.execution.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value}"
}
