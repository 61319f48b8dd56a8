# The release gate: a version that returns an error gets no traffic. In its own file, since runs in one file share state.
mock_provider "aws" {
  # It publishes version 8, and its ARNs are valid. The blocks are inline because OpenTofu does not read mock files.
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:orders" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/orders" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = { invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/orders/invocations" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:orders", version = "8" }
  }
  mock_resource "aws_lambda_invocation" {
    defaults = { result = "{\"statusCode\": 500, \"body\": \"broken\"}" }
  }
}

mock_provider "docker" {}

variables {
  name  = "orders"
  image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:0000000000000000000000000000000000000000000000000000000000000000" }
  auth  = { iam = {} }
}

run "refuses_a_version_that_returns_500" {
  expect_failures = [aws_lambda_alias.live]
}
