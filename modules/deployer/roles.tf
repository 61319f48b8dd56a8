resource "aws_iam_role" "this" {
  for_each = local.role_names

  name                 = each.value
  path                 = local.path
  description          = each.key == "plan" ? "Plans ${join(", ", slice(var.apis, 0, min(3, length(var.apis))))}: reads only" : "Applies ${join(", ", slice(var.apis, 0, min(3, length(var.apis))))}"
  assume_role_policy   = local.trust_policies[each.key]
  max_session_duration = var.session_seconds
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = length(local.trust_policies[each.key]) <= 2048
      error_message = "trust: the ${each.key} role's trust policy has ${length(local.trust_policies[each.key])} characters with these subjects, IAM's limit is 2,048. Name fewer branches and environments, or call the module twice."
    }

    precondition {
      condition     = length(local.role_policies[each.key]) + length(var.permissions["${each.key}_policy_arns"]) <= 10
      error_message = "permissions.${each.key}_policy_arns must name at most ${10 - length(local.role_policies[each.key])} policies: IAM attaches 10 to a role, and the module needs the others."
    }
  }

  # The token's issuer must exist before a policy names it.
  depends_on = [aws_iam_openid_connect_provider.this]
}

locals {
  role_policies = {
    for role in ["apply", "plan"] : role => { for key, statements in local.policy_statements[role] : key => statements if length(statements) > 0 }
  }
  policies = merge([for role, policies in local.role_policies : { for key, statements in policies : "${role}-${key}" => {
    role = role
    json = jsonencode({ Version = "2012-10-17", Statement = statements })
  } }]...)
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name        = "${var.name}-${each.key}"
  path        = local.path
  description = "Part of what the role ${local.role_names[each.value.role]} may do"
  policy      = each.value.json
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value.json) <= 6144
      error_message = "apis: the policy ${var.name}-${each.key} has ${length(each.value.json)} characters with these names, IAM's limit is 6,144. Name the APIs by a common prefix (people-*), or call the module once per group of APIs."
    }
  }
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = aws_iam_policy.this[each.key].arn
}

resource "aws_iam_role_policy_attachment" "additional" {
  for_each = merge([for role in keys(local.role_names) : { for key, arn in var.permissions["${role}_policy_arns"] : "${role}-${key}" => { role = role, arn = arn } }]...)

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}
