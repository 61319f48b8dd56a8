variable "apis" {
  description = "Names of the APIs that the roles plan and apply: the `name` of each module call, or a common prefix with a `*` at its end, such as people-*."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.apis) > 0 && alltrue([for name in var.apis : can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*(-\\*)?$", name)) && try(length(name) >= 2 && length(name) <= 40, false)])
    error_message = "apis must name at least one API: 2 to 40 lower-case letters, digits and single hyphens, beginning with a letter, or such a name with -* at its end. A * alone would allow every function of the account."
  }
}

variable "dns_zone_ids" {
  description = "IDs of the Route 53 hosted zones in which the APIs have records (`api.domain.route53`)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.dns_zone_ids : can(regex("^Z[A-Z0-9]{1,31}$", id))])
    error_message = "dns_zone_ids must be IDs of hosted zones, such as Z0123456789EXAMPLE."
  }
}

variable "function_actions" {
  description = "Actions that the functions' own roles may get beyond what the module gives them, such as dynamodb:*. The permissions boundary allows no others, whatever `permissions.statements` of an API says."
  type        = list(string)
  default     = ["dynamodb:*"]
  nullable    = false

  validation {
    condition     = length(var.function_actions) > 0 && alltrue([for action in var.function_actions : can(regex("^[a-z0-9-]+:[a-zA-Z0-9*]+$", action))])
    error_message = "function_actions must be <service>:<action>, such as dynamodb:* or s3:GetObject. A * for the service would make the boundary one in name only."
  }

  validation {
    condition     = alltrue([for action in var.function_actions : !contains(["account", "iam", "organizations", "sso", "sts"], try(split(":", action)[0], ""))])
    error_message = "function_actions must not be of account, iam, organizations, sso or sts: with these a function could give itself more than the boundary allows."
  }
}

variable "function_roles" {
  description = "IAM `path` and `name_prefix` of the functions' roles, where the APIs set `permissions.role_path` and `role_name_prefix`."
  type = object({
    name_prefix = optional(string, "")
    path        = optional(string, "/")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([a-zA-Z0-9+=,.@_-]+/)*$", var.function_roles.path)) && can(regex("^[a-zA-Z0-9+=,.@_-]*$", var.function_roles.name_prefix))
    error_message = "function_roles: path must be / or begin and end with a slash, and path and name_prefix hold only letters, digits and +=,.@_-: IAM's rule, and a * would match other roles."
  }

  validation {
    condition     = !startswith(var.function_roles.path, "/${var.name}/")
    error_message = "function_roles.path must not begin with /${var.name}/, the path of this module's own roles, which the apply role must not change."
  }
}

variable "invoked_functions" {
  description = "Names of functions outside of the module that the APIs invoke: `auth.lambda.function_arn`, `routes[*].legacy.function_arn`. The apply role may let API Gateway invoke them, and nothing else."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.invoked_functions : can(regex("^[a-zA-Z0-9_-]{1,64}$", name))])
    error_message = "invoked_functions must be names of Lambda functions, 1 to 64 letters, digits, hyphens and underscores, without wildcards."
  }
}

variable "name" {
  description = "Name of the roles and policies, with -plan, -apply and -boundary appended, and their IAM path. 2 to 28 lower-case letters, digits and single hyphens, beginning with a letter."
  type        = string
  default     = "deployer"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 28
    error_message = "name must be 2 to 28 lower-case letters, digits and single hyphens, beginning with a letter: it also names the state bucket, with account and region appended (63 characters)."
  }
}

variable "permissions" {
  description = <<-EOT
    What the roles may do beyond the module's own resources: for tables, certificates, networks and whatever else your root modules create.
    - `statements`: IAM statements that allow `actions` on `resources`, under `conditions`. With `plan = true` they are the plan role's, too: use it for reads.
    - `apply_policy_arns`, `plan_policy_arns`: further managed policies of a role, by a name of your choice.
  EOT
  type = object({
    apply_policy_arns = optional(map(string), {})
    plan_policy_arns  = optional(map(string), {})
    statements = optional(list(object({
      actions = list(string)
      conditions = optional(list(object({
        test     = string
        values   = list(string)
        variable = string
      })), [])
      plan      = optional(bool, false)
      resources = list(string)
      sid       = string
    })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for action in flatten(var.permissions.statements[*].actions) : can(regex("^[a-z0-9-]+:[a-zA-Z0-9*?]+$", action)) && !startswith(action, "iam:*")])
    error_message = "permissions.statements: actions must be <service>:<action>, such as dynamodb:CreateTable, and not iam:*: with all of IAM the apply role could make itself an administrator."
  }

  validation {
    condition     = alltrue([for s in var.permissions.statements : length(s.actions) > 0 && length(s.resources) > 0 && can(regex("^[a-zA-Z0-9]+$", s.sid))])
    error_message = "permissions.statements: each must name an action, a resource and a sid of letters and digits: IAM's rule."
  }

  validation {
    condition     = alltrue([for arn in concat(values(var.permissions.apply_policy_arns), values(var.permissions.plan_policy_arns)) : can(regex("^arn:[^:]+:iam::([0-9]{12}|aws):policy/.+$", arn))])
    error_message = "permissions: apply_policy_arns and plan_policy_arns must be ARNs of IAM policies, arn:aws:iam::<account>:policy/<name>."
  }

  validation {
    condition     = alltrue([for arn in values(var.permissions.apply_policy_arns) : !can(regex("policy/(AdministratorAccess|IAMFullAccess|PowerUserAccess)$", arn))])
    error_message = "permissions.apply_policy_arns must not name AdministratorAccess, IAMFullAccess or PowerUserAccess: the roles would not be limited to the APIs any more."
  }
}

variable "session_seconds" {
  description = "Longest session of a role, 3600 to 43200 seconds: a job must finish in it."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.session_seconds >= 3600 && var.session_seconds <= 43200 && floor(var.session_seconds) == var.session_seconds
    error_message = "session_seconds must be a whole number from 3600 to 43200: IAM's limits."
  }
}

variable "state" {
  description = <<-EOT
    The bucket of the Terraform states.
    - `bucket`: name of the bucket to create; null for <name>-state-<account>-<region>.
    - `existing_bucket`: a bucket that exists, by `name`, which is used as it is, instead.
    - `key_prefix`: the states that the roles read and write have keys that begin with it. The state of this module must not: who can write it decides what the next administrator applies.
    - `kms_key_arn`: KMS key of the states; null for the AWS managed key. The key's policy must leave its use to IAM.
    - `noncurrent_days`: days until S3 deletes an overwritten version; the last ten stay.
    - `plan_locks`: false if plans run with -lock=false: then the plan role writes nothing at all.
    - `force_destroy`: true lets a destroy delete the bucket with every state in it.
  EOT
  type = object({
    bucket          = optional(string)
    existing_bucket = optional(object({ name = string }))
    force_destroy   = optional(bool, false)
    key_prefix      = optional(string, "apis/")
    kms_key_arn     = optional(string)
    noncurrent_days = optional(number, 90)
    plan_locks      = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in [var.state.bucket, try(var.state.existing_bucket.name, null)] : name == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", name))])
    error_message = "state.bucket and state.existing_bucket.name must be 3 to 63 lower-case letters, digits, dots and hyphens: S3's rule."
  }

  validation {
    condition     = var.state.bucket == null || var.state.existing_bucket == null
    error_message = "state: bucket is created and existing_bucket is not: name one of them."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9._:-]+/([a-zA-Z0-9._:-]+/)*$", var.state.key_prefix))
    error_message = "state.key_prefix must be a folder that ends with a slash, such as apis/, without a *: this module's own state must stay outside of it."
  }

  validation {
    condition     = var.state.kms_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.state.kms_key_arn))
    error_message = "state.kms_key_arn must be the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>: policies cannot name an alias."
  }

  validation {
    condition     = var.state.noncurrent_days >= 1 && floor(var.state.noncurrent_days) == var.state.noncurrent_days
    error_message = "state.noncurrent_days must be a whole number of at least 1: S3's rule."
  }
}

variable "tags" {
  description = "Tags of every resource that supports them."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "trust" {
  description = <<-EOT
    Which jobs may assume the roles, by the subject of their OIDC token. Exactly one of `github` and `oidc`.
    - `github`: jobs of GitHub Actions in one `repository`, OWNER/NAME; for a repository whose subjects are immutable (created, renamed or moved since July 2026) OWNER@ID/NAME@ID,
      as `gh api repos/OWNER/NAME/actions/oidc/customization/sub` prints. `apply` and `plan` name `branches` and `environments`; `plan.pull_requests` also admits pull requests. `apply.pull_requests` is for
      the previews of pull requests: whoever may open one in the repository can then apply, so give them APIs and a `state.key_prefix` of their own. A job that
      names an environment has that subject and not its branch's.
    - `oidc`: any other `issuer` (https://gitlab.com), its `audience`, and the exact subjects of the jobs: `apply_subjects`, `plan_subjects`. A subject of `plan_subjects` may end in `*` after
      the project: `project_path:group/project:ref_type:branch:ref:*`.
    - `existing_provider`: the issuer's provider in this account, by `arn`, if it exists: an account can have one per issuer.
  EOT
  type = object({
    existing_provider = optional(object({ arn = string }))
    github = optional(object({
      apply      = object({ branches = optional(list(string), []), environments = optional(list(string), []), pull_requests = optional(bool, false) })
      plan       = optional(object({ branches = optional(list(string), []), environments = optional(list(string), []), pull_requests = optional(bool, true) }), {})
      repository = string
    }))
    oidc = optional(object({
      apply_subjects = list(string)
      audience       = string
      issuer         = string
      plan_subjects  = list(string)
    }))
  })
  nullable = false

  validation {
    condition     = (var.trust.github == null) != (var.trust.oidc == null)
    error_message = "trust must name exactly one of github and oidc."
  }

  validation {
    condition     = var.trust.github == null ? true : can(regex("^[a-zA-Z0-9-]+(@[0-9]+)?/[a-zA-Z0-9._-]+(@[0-9]+)?$", var.trust.github.repository))
    error_message = "trust.github.repository must be OWNER/NAME, or OWNER@ID/NAME@ID with immutable subjects, and no wildcard: with one, jobs of other repositories could assume the roles."
  }

  validation {
    condition = var.trust.github == null ? true : alltrue([
      for name in concat(var.trust.github.apply.branches, var.trust.github.apply.environments, var.trust.github.plan.branches, var.trust.github.plan.environments) : can(regex("^[^*?:\\s]+$", name))
    ])
    error_message = "trust.github: branches and environments must be names without wildcards, colons and spaces: subjects are compared as a whole, and everybody who may push could create a branch that matches a pattern."
  }

  validation {
    condition = var.trust.github == null ? true : (
      (length(concat(var.trust.github.apply.branches, var.trust.github.apply.environments)) > 0 || var.trust.github.apply.pull_requests) &&
      (length(concat(var.trust.github.plan.branches, var.trust.github.plan.environments)) > 0 || var.trust.github.plan.pull_requests)
    )
    error_message = "trust.github: apply and plan must each admit a branch, an environment or pull requests: otherwise nobody could assume the role."
  }

  validation {
    condition     = var.trust.oidc == null ? true : can(regex("^https://[a-z0-9.-]+(/[^?#*]*[^/?#*])?$", var.trust.oidc.issuer))
    error_message = "trust.oidc.issuer must be an https:// URL without query and without a slash at its end, exactly the claim iss of the tokens: IAM's rule."
  }

  validation {
    condition     = var.trust.oidc == null ? true : length(var.trust.oidc.audience) > 0 && !can(regex("[*?]", var.trust.oidc.audience))
    error_message = "trust.oidc.audience must be the claim aud of the tokens, without wildcards: tokens for other audiences could be used otherwise."
  }

  validation {
    condition     = var.trust.oidc == null ? true : length(var.trust.oidc.apply_subjects) > 0 && length(var.trust.oidc.plan_subjects) > 0
    error_message = "trust.oidc: apply_subjects and plan_subjects must each name a subject: otherwise nobody could assume the role."
  }

  validation {
    condition     = var.trust.oidc == null ? true : alltrue([for subject in var.trust.oidc.apply_subjects : can(regex("^[^*?]+$", subject))])
    error_message = "trust.oidc.apply_subjects must be exact, without * and ?: a pattern could match jobs of other projects or unprotected branches."
  }

  validation {
    condition     = var.trust.oidc == null ? true : alltrue([for subject in var.trust.oidc.plan_subjects : can(regex("^[^*?]+$|^(repo|project_path):[^*?:/]+(/[^*?:/]+)+:[^*?]*\\*$", subject))])
    error_message = "trust.oidc.plan_subjects must be exact, or end in one * after the whole project (project_path:group/project:…*): an earlier wildcard would admit other projects."
  }

  validation {
    condition     = var.trust.existing_provider == null ? true : can(regex("^arn:[^:]+:iam::[0-9]{12}:oidc-provider/[^*?]+$", var.trust.existing_provider.arn))
    error_message = "trust.existing_provider.arn must be the ARN of an OIDC provider, arn:aws:iam::<account>:oidc-provider/<issuer without https://>."
  }

  validation {
    condition = var.trust.existing_provider == null ? true : endswith(
      var.trust.existing_provider.arn, ":oidc-provider/${trimprefix(try(var.trust.oidc.issuer, null) == null ? "https://token.actions.githubusercontent.com" : var.trust.oidc.issuer, "https://")}"
    )
    error_message = "trust.existing_provider.arn must be the provider of the issuer that trust names: tokens of another issuer have other subjects."
  }
}
