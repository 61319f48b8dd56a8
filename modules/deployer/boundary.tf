# The most that a function's role may do, whatever its own policies say. The apply role makes no role without it.
locals {
  boundary_name = "${var.name}-boundary"
  boundary_arn  = "${local.iam_arn_prefix}:policy${local.path}${local.boundary_name}"

  boundary_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ModuleNeeds"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream", "logs:PutLogEvents",
          "ssm:GetParameter", "secretsmanager:GetSecretValue",
          "sqs:SendMessage", "sns:Publish", "events:PutEvents", "lambda:InvokeFunction", "s3:PutObject",
          "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite",
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
          "xray:PutTelemetryRecords", "xray:PutTraceSegments",
        ]
        Resource = "*"
      },
      {
        Sid      = "TeamNeeds"
        Effect   = "Allow"
        Action   = var.function_actions
        Resource = "*"
      },
      {
        Sid      = "NoOtherStates"
        Effect   = "Deny"
        Action   = "s3:*"
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
    ]
  })
}

resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_288:A boundary grants nothing: the role's own policies name the resources
  #checkov:skip=CKV_AWS_289:A boundary grants nothing: the role's own policies name the resources
  #checkov:skip=CKV_AWS_290:A boundary grants nothing: the role's own policies name the resources
  #checkov:skip=CKV_AWS_355:A boundary grants nothing: the role's own policies name the resources
  name        = local.boundary_name
  path        = local.path
  description = "The most that a function's role may do"
  policy      = local.boundary_policy
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.boundary_policy) <= 6144
      error_message = "function_actions: the boundary has ${length(local.boundary_policy)} characters with these actions, IAM's limit is 6,144. Use wildcards, such as dynamodb:*."
    }
  }
}
