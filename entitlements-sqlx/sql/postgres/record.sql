SELECT is_new, known FROM usage_record($1, $2::json)
