provider "aws" {}

# Login for the push: the provider does not read Docker's credential store.
provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

data "aws_region" "this" {}

# Private subnets without a NAT gateway: the function reaches DynamoDB through a gateway endpoint, which is free, and nothing else.
resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs belong to the account's baseline, and are billed by volume
  cidr_block           = var.cidr_block
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = "private-api" }
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id            = aws_vpc.this.id
  availability_zone = var.availability_zones[count.index]
  cidr_block        = cidrsubnet(var.cidr_block, 4, count.index)
  tags              = { Name = "private-api-${count.index}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table_association" "private" {
  count = 2

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "dynamodb" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.this.id}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
}

resource "aws_security_group" "function" {
  #checkov:skip=CKV2_AWS_5:Attached to the function by the module, which checkov's graph of a plan does not follow
  name        = "private-api-function"
  description = "The API's Lambda function: HTTPS to DynamoDB's endpoint"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "dynamodb" {
  security_group_id = aws_security_group.function.id
  description       = "HTTPS to DynamoDB's gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.dynamodb.prefix_list_id
}

module "api" {
  source = "../../modules/lambda_container_api"

  name  = "private-api"
  image = { build = { context = "../minimal/app" } }
  auth  = { iam = {} }

  function = {
    vpc = {
      subnet_ids         = aws_subnet.private[*].id
      security_group_ids = [aws_security_group.function.id]
    }
  }
}
