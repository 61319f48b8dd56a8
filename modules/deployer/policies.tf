# From actions.yaml: the statements of each role, by managed policy.
locals {
  groups = yamldecode(templatefile("${path.module}/actions.yaml", {
    account     = local.account_id
    boundary    = local.boundary_arn
    bucket      = local.bucket_name
    dns_suffix  = data.aws_partition.this.dns_suffix
    key_prefix  = var.state.key_prefix
    partition   = local.partition
    region      = local.region
    role_prefix = "${var.function_roles.path}${var.function_roles.name_prefix}"
  }))
  repeated = {
    "{api}"     = var.apis
    "{invoked}" = var.invoked_functions
    "{kms_key}" = compact([var.state.kms_key_arn])
    "{zone}"    = var.dns_zone_ids
  }

  statements = { for group, statements in local.groups : group => [for s in statements : {
    sid        = s.sid
    conditions = try(s.conditions, {})
    # Each resource once for each value of its placeholder.
    resources = flatten([for resource in s.resources : try(
      [for value in local.repeated[regex("{[a-z_]+}", resource)] : replace(resource, regex("{[a-z_]+}", resource), value)],
      [resource],
    )])
    actions = {
      apply = keys(s.actions)
      plan  = [for action, a in s.actions : action if try(a.plan, false) && (s.sid != "Locks" || var.state.plan_locks)]
    }
  }] }

  additional = [for s in var.permissions.statements : {
    sid        = s.sid
    conditions = { for test in distinct(s.conditions[*].test) : test => { for c in s.conditions : c.variable => c.values if c.test == test } }
    resources  = s.resources
    actions    = { apply = s.actions, plan = s.plan ? s.actions : [] }
  }]

  # What no statement of the caller may undo: the apply role changes nothing of this module, and makes no role that may do more.
  protection = [
    {
      Sid      = "NotThisModule"
      Effect   = "Deny"
      Action   = ["iam:*"]
      Resource = ["${local.iam_arn_prefix}:role${local.path}*", "${local.iam_arn_prefix}:policy${local.path}*", local.provider_arn]
    },
    {
      Sid       = "NoRoleWithoutBoundary"
      Effect    = "Deny"
      Action    = ["iam:CreateRole", "iam:CreateUser", "iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary"]
      Resource  = ["*"]
      Condition = { StringNotEquals = { "iam:PermissionsBoundary" = local.boundary_arn } }
    },
    {
      Sid      = "OnlyTheModulesManagedPolicies"
      Effect   = "Deny"
      Action   = ["iam:AttachRolePolicy"]
      Resource = ["${local.iam_arn_prefix}:role${var.function_roles.path}${var.function_roles.name_prefix}*-${local.region}"]
      Condition = { ArnNotEquals = { "iam:PolicyARN" = [
        "arn:${local.partition}:iam::aws:policy/AWSXRayDaemonWriteAccess",
        "arn:${local.partition}:iam::aws:policy/service-role/AWSLambdaENIManagementAccess",
      ] } }
    },
    {
      Sid      = "BoundariesStay"
      Effect   = "Deny"
      Action   = ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
      Resource = ["*"]
    },
  ]

  policy_statements = { for role in ["apply", "plan"] : role => {
    for group, statements in merge(local.statements, { additional = local.additional }) : group => concat(
      [for s in statements : merge(
        { Sid = s.sid, Effect = "Allow", Action = s.actions[role], Resource = s.resources },
        length(s.conditions) == 0 ? {} : { Condition = s.conditions },
      ) if length(s.actions[role]) > 0 && length(s.resources) > 0],
      [for s in local.protection : s if role == "apply" && group == "shared"],
    )
  } }
}
