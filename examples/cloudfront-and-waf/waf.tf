locals {
  # 925 of the 1500 capacity units that the price of a web ACL includes. Rules to count instead of block, by rule group.
  rule_groups = {
    AWSManagedRulesAmazonIpReputationList = []
    # It blocks bodies above 8 KB, which an API may well accept. The other rules inspect the first 16 KB.
    AWSManagedRulesCommonRuleSet         = ["SizeRestrictions_BODY"]
    AWSManagedRulesKnownBadInputsRuleSet = []
  }
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_192:The rule group is there, in a dynamic block that the check does not read
  provider = aws.us_east_1

  name        = "edge-api"
  description = "Rate limit and AWS managed rules in front of edge-api"
  scope       = "CLOUDFRONT"

  default_action {
    allow {}
  }

  rule {
    name     = "rate-limit"
    priority = 0

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 300
        limit                 = var.requests_per_ip
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate-limit"
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = local.rule_groups

    content {
      name     = rule.key
      priority = 1 + index(keys(local.rule_groups), rule.key)

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key

          dynamic "rule_action_override" {
            for_each = rule.value

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "edge-api"
    sampled_requests_enabled   = true
  }
}

# What was blocked and by which rule: without it, nobody finds the rule that blocks a legitimate request.
resource "aws_cloudwatch_log_group" "waf" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; the log holds blocked requests without their tokens
  provider = aws.us_east_1
  count    = var.waf_log_retention_days == null ? 0 : 1

  name              = "aws-waf-logs-edge-api" # WAF requires this prefix
  retention_in_days = var.waf_log_retention_days
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  provider = aws.us_east_1
  count    = length(aws_cloudwatch_log_group.waf)

  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.waf[0].arn]

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }

  dynamic "redacted_fields" {
    for_each = ["authorization", "cookie"]

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }
}
