# Who may assume the roles: jobs with a token of the issuer, for the audience, with one of these subjects.
locals {
  issuer       = var.trust.github != null ? "https://token.actions.githubusercontent.com" : var.trust.oidc.issuer
  audience     = var.trust.github != null ? "sts.amazonaws.com" : var.trust.oidc.audience
  issuer_name  = trimprefix(local.issuer, "https://")
  own_provider = var.trust.existing_provider == null
  provider_arn = local.own_provider ? "${local.iam_arn_prefix}:oidc-provider/${local.issuer_name}" : var.trust.existing_provider.arn

  # A job of an environment has the environment in its subject instead of its branch.
  subjects = var.trust.github == null ? {
    apply = var.trust.oidc.apply_subjects
    plan  = var.trust.oidc.plan_subjects
    } : { for role in ["apply", "plan"] : role => [for claim in concat(
      [for branch in var.trust.github[role].branches : "ref:refs/heads/${branch}"],
      [for environment in var.trust.github[role].environments : "environment:${environment}"],
      var.trust.github[role].pull_requests ? ["pull_request"] : [],
    ) : "repo:${var.trust.github.repository}:${claim}"]
  }

  # Compared as a whole, except for a plan's `*` at the end, which variables.tf allows after the project only.
  trust_policies = { for role, subjects in local.subjects : role => jsonencode({
    Version = "2012-10-17"
    Statement = [for test, matched in {
      StringEquals = [for subject in subjects : subject if !endswith(subject, "*")]
      StringLike   = [for subject in subjects : subject if endswith(subject, "*")]
      } : {
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { for operator, keys in {
        StringEquals = merge({ "${local.issuer_name}:aud" = local.audience }, test == "StringEquals" ? { "${local.issuer_name}:sub" = matched } : {})
        StringLike   = test == "StringLike" ? { "${local.issuer_name}:sub" = matched } : {}
      } : operator => keys if length(keys) > 0 }
    } if length(matched) > 0]
  }) }
}

resource "aws_iam_openid_connect_provider" "this" {
  count = local.own_provider ? 1 : 0

  url            = local.issuer
  client_id_list = [local.audience]
  tags           = var.tags
}
