locals {
  # An object, because its ARN may be unknown until apply.
  own_role = nonsensitive(var.permissions.existing_role == null)
  role_arn = local.own_role ? aws_iam_role.execution[0].arn : nonsensitive(var.permissions.existing_role.arn)
}

# Roles are global, so the name includes the region: an API may be deployed in several regions of an account.
# Without a `moved` block from the role without count: Terraform moves it by itself, and the block would collide with one that adopts a role.
resource "aws_iam_role" "execution" {
  count = local.own_role ? 1 : 0

  name                 = "${var.permissions.role_name_prefix == null ? "" : var.permissions.role_name_prefix}${var.name}-${local.region}"
  path                 = var.permissions.role_path
  description          = "Execution role of the Lambda function ${var.name}"
  permissions_boundary = var.permissions.boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  # The name may be unknown when the region is. Only a new location must replace the role.
  lifecycle {
    ignore_changes       = [name, path]
    replace_triggered_by = [terraform_data.location]

    precondition {
      condition     = length("${var.permissions.role_name_prefix == null ? "" : var.permissions.role_name_prefix}${var.name}-${local.region}") <= 64
      error_message = "permissions.role_name_prefix and name are too long: with the region, the role's name must not exceed 64 characters, IAM's limit."
    }

    postcondition {
      condition = (
        (var.permissions.role_path == null ? true : self.path == var.permissions.role_path) &&
        (var.permissions.role_name_prefix == null ? true : startswith(self.name, var.permissions.role_name_prefix))
      )
      error_message = <<-EOT
        permissions.role_path and role_name_prefix apply to a new role: IAM cannot move or rename ${self.arn}, and its replacement would leave the function without a role meanwhile.
        Remove them, or create a role and pass it as permissions.existing_role.
      EOT
    }
  }
}

locals {
  secret_arns         = [for arn in values(var.function.secrets) : arn if arn != null]
  failure_destination = try(var.function.asynchronous.on_failure.arn, null)

  # By Sid; an empty list grants nothing. As JSON and not as a data source, so that policies are known at plan.
  execution_statements = {
    # No logs:CreateLogGroup: Terraform creates the group before the function, with its retention and key.
    WriteLogs = [{
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${local.logs_arn_prefix}:${local.function_log_group}:*"]
    }]
    ReadParameters = [for arns in [[for arn in local.secret_arns : arn if split(":", arn)[2] == "ssm"]] : {
      Action   = ["ssm:GetParameter"]
      Resource = arns
    } if length(arns) > 0]
    ReadSecrets = [for arns in [[for arn in local.secret_arns : arn if split(":", arn)[2] == "secretsmanager"]] : {
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    } if length(arns) > 0]
    ReportFailures = [for arn in [local.failure_destination] : {
      Action   = [{ sqs = "sqs:SendMessage", sns = "sns:Publish", lambda = "lambda:InvokeFunction", events = "events:PutEvents", s3 = "s3:PutObject" }[split(":", arn)[2]]]
      Resource = [split(":", arn)[2] == "s3" ? "${arn}/*" : arn]
    } if arn != null]
    # The access point's file system is not in its ARN.
    MountFileSystem = [for arn in [try(var.function.file_system.access_point_arn, null)] : {
      Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
      Resource  = ["arn:${local.partition}:elasticfilesystem:${local.region}:${local.account_id}:file-system/*"]
      Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = arn } }
    } if arn != null]
  }

  # What AWS managed policies allow the module's own role.
  managed_statements = {
    ManageNetworkInterfaces = [for action in local.in_vpc ? ["ec2"] : [] : {
      Action = [
        "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
      ]
      Resource = ["*"]
    }]
    WriteTraces = [for action in nonsensitive(var.function.tracing) ? ["xray"] : [] : {
      Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      Resource = ["*"]
    }]
  }

  # Callers write "&{", as in aws_iam_policy_document, because Terraform would interpolate it in their strings.
  iam_variable = join("{", ["$", ""])

  permission_statements = [for s in var.permissions.statements : {
    for key, value in {
      Sid      = s.sid
      Effect   = "Allow"
      Action   = [for action in s.actions : action if action != null]
      Resource = [for arn in s.resources : replace(arn, "&{", local.iam_variable) if arn != null]
      Condition = length(s.conditions) == 0 ? null : {
        for test in distinct([for c in s.conditions : c.test if c != null]) : test => {
          for variable, values in { for c in s.conditions : c.variable => c.values... if try(c.test == test, false) } :
          variable => [for value in flatten(values) : replace(value, "&{", local.iam_variable) if value != null]
        }
      }
    } : key => value if value != null
  } if s != null]
}

resource "aws_iam_role_policy" "execution" {
  count = local.own_role ? 1 : 0

  name = "execution"
  role = aws_iam_role.execution[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      flatten([for sid, statements in local.execution_statements : [for s in statements : merge({ Sid = sid, Effect = "Allow" }, s)]]),
      local.permission_statements,
    )
  })
}

# AWS managed policies, for actions without resource-level permissions. The VPC's one grants network interfaces alone. Its key is the
# name of the policy that releases up to 0.1.0 attach, which also allows writing to every log group: under the same key, Terraform
# replaces the attachment.
locals {
  managed_policies = merge(
    nonsensitive(var.function.tracing) ? { AWSXRayDaemonWriteAccess = "AWSXRayDaemonWriteAccess" } : {},
    local.in_vpc ? { "service-role/AWSLambdaVPCAccessExecutionRole" = "service-role/AWSLambdaENIManagementAccess" } : {},
  )
}

resource "aws_iam_role_policy_attachment" "managed" {
  for_each = local.own_role ? local.managed_policies : {}

  role       = aws_iam_role.execution[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value}"
}

# Lambda manages the network interfaces, so the function's own code is denied these actions, as Lambda's developer guide advises.
resource "aws_iam_role_policy" "network_interfaces" {
  count = local.in_vpc && local.own_role ? 1 : 0

  name = "network-interfaces"
  role = aws_iam_role.execution[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "DenyToTheFunctionItself"
      Effect = "Deny"
      Action = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "${local.lambda_arn_prefix}:${var.name}" } }
    }]
  })
}
