output "endpoint" {
  description = "URL of the API with its stage, without a trailing slash."
  value       = aws_api_gateway_stage.prod.invoke_url
}

output "api_id" {
  description = "ID of the REST API."
  value       = aws_api_gateway_rest_api.people.id
}

output "users_table" {
  description = "Name of the table of users."
  value       = aws_dynamodb_table.users.name
}

output "customers_table" {
  description = "Name of the table of customers."
  value       = aws_dynamodb_table.customers.name
}
