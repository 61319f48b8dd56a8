alarm_topic_arn = "arn:aws:sns:eu-central-1:111122223333:on-call"
