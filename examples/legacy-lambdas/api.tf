resource "aws_api_gateway_rest_api" "people" {
  name = var.prefix

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_resource" "users" {
  rest_api_id = aws_api_gateway_rest_api.people.id
  parent_id   = aws_api_gateway_rest_api.people.root_resource_id
  path_part   = "users"
}

resource "aws_api_gateway_resource" "user" {
  rest_api_id = aws_api_gateway_rest_api.people.id
  parent_id   = aws_api_gateway_resource.users.id
  path_part   = "{userId}"
}

resource "aws_api_gateway_resource" "customers" {
  rest_api_id = aws_api_gateway_rest_api.people.id
  parent_id   = aws_api_gateway_rest_api.people.root_resource_id
  path_part   = "customers"
}

resource "aws_api_gateway_resource" "customer" {
  rest_api_id = aws_api_gateway_rest_api.people.id
  parent_id   = aws_api_gateway_resource.customers.id
  path_part   = "{customerId}"
}

# A REST API serves what its last deployment contains.
resource "aws_api_gateway_deployment" "people" {
  rest_api_id = aws_api_gateway_rest_api.people.id

  triggers = {
    redeployment = sha1(jsonencode([
      aws_api_gateway_integration.add_user.uri,
      aws_api_gateway_integration.get_user.uri,
      aws_api_gateway_integration.list_users.uri,
      aws_api_gateway_integration.update_user.uri,
      aws_api_gateway_integration.delete_user.uri,
      aws_api_gateway_integration.add_customer.uri,
      aws_api_gateway_integration.get_customer.uri,
      aws_api_gateway_integration.list_customers.uri,
      aws_api_gateway_integration.update_customer.uri,
      aws_api_gateway_integration.delete_customer.uri,
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "prod" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  deployment_id = aws_api_gateway_deployment.people.id
  stage_name    = "prod"
}
