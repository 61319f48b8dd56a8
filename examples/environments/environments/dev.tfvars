environment      = "dev"
pull_account_ids = ["222222222222", "333333333333"] # stage, prod
