environment      = "prod"
memory_mb        = 1024
alarm_topic_arns = ["arn:aws:sns:eu-central-1:333333333333:on-call"]
