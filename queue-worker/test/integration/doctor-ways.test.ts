/** The way to the database, other systems and workers, each broken for real: see doctor.test.ts. */
import { doctorBench } from '../support/doctor-bench.ts'
import { connection } from './doctor-cases/connection.ts'
import { holdDoctorTo } from './doctor-cases/hold.ts'
import { others, workers } from './doctor-cases/others.ts'

holdDoctorTo(doctorBench(), [...connection, ...others, ...workers])
