-- What the example keeps. It can be applied again.
create table if not exists courses (
  id int primary key,
  title text not null,
  seats_left int not null check (seats_left >= 0)
);
create table if not exists registrations (
  id bigint generated always as identity primary key,
  course int not null references courses,
  name text not null,
  email text not null,
  unique (course, email)
);
insert into courses values (1, 'Pottery', 2) on conflict do nothing;
