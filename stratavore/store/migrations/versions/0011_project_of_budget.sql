-- The name of the project that a budget is of, or that its session is in; NULL: it is of all, or the project is no more.

CREATE FUNCTION project_of_budget(scope text, scope_id text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT name FROM projects
    WHERE id = CASE scope WHEN 'project' THEN scope_id::uuid
                          WHEN 'session' THEN (SELECT project_id FROM sessions WHERE id = scope_id::uuid) END
$$;
